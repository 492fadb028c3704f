import { homedir } from 'node:os';
import { join } from 'node:path';
import { readWhole, statusOf } from '../../base/files.ts';
import { assertSecret } from '../../base/secrets.ts';
import { UserError } from '../../base/user-error.ts';

/** How an S3 store is reached, by the environment and files of the AWS tools. */
export interface S3Settings {
  /** Null: requests are not signed, which is enough for a public bucket. */
  readonly keys: AccessKeys | null;
  /** Why there are no keys, for people. */
  readonly missing: string;
  readonly region: string;
  /** Of a store other than Amazon's. */
  readonly endpoint: URL | null;
}

export interface AccessKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

type Environment = Record<string, string | undefined>;
type Profile = Record<string, string>;

const MAX_FILE_BYTES = 1 << 20;

/**
 * The settings for S3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, else the keys of AWS_PROFILE (`default`) in
 * ~/.aws/credentials and ~/.aws/config; AWS_REGION; AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL. UserError, which names no value that may be a
 * secret, for settings that cannot be used.
 */
export function s3Settings(env: Environment = process.env): S3Settings {
  const name = env.AWS_PROFILE || 'default';
  const profile = readProfile(name, env);
  if (!profile && env.AWS_PROFILE)
    throw new UserError(`AWS_PROFILE ${name}: ~/.aws/credentials and ~/.aws/config have no such profile`);
  const region = env.AWS_REGION || env.AWS_DEFAULT_REGION || profile?.region || 'us-east-1';
  if (!isRegion(region)) throw new UserError('AWS_REGION must look like eu-central-1');
  return {
    keys: keysOf(env) ?? keysOf(upperCase(profile ?? {})),
    missing: whyMissing(name, profile),
    region,
    endpoint: endpointOf(env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL || profile?.endpoint_url),
  };
}

/** Of it the host's name is made. */
export const isRegion = (text: string) => /^[a-z0-9-]{1,32}$/.test(text);

function keysOf(env: Environment): AccessKeys | null {
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: token } = env;
  if (id && !secret) throw new UserError('AWS_ACCESS_KEY_ID is set, but not AWS_SECRET_ACCESS_KEY: set both');
  if (id && secret) {
    assertSecret('AWS_ACCESS_KEY_ID', id);
    assertSecret('AWS_SECRET_ACCESS_KEY', secret);
    if (token) assertSecret('AWS_SESSION_TOKEN', token);
  }
  return id && secret
    ? { accessKeyId: id, secretAccessKey: secret, ...(token && { sessionToken: token }) }
    : null;
}

/** Names as in the environment. */
const upperCase = (profile: Profile): Environment =>
  Object.fromEntries(Object.entries(profile).map(([name, value]) => [name.toUpperCase(), value]));

function whyMissing(name: string, profile: Profile | null): string {
  if (Object.keys(profile ?? {}).some((key) => /^(sso_|role_arn|credential_process|web_identity)/.test(key)))
    return `profile ${name} gets its keys elsewhere: run eval "$(aws configure export-credentials --profile ${name} --format env)"`;
  return 'no credentials were found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY';
}

function endpointOf(text: string | undefined): URL | null {
  if (!text) return null;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search)
    throw new UserError(
      'AWS_ENDPOINT_URL must look like https://HOST:PORT, without a name, password or query',
    );
  return url;
}

/** The settings of a profile, those of the file of credentials first; null if neither file has it. */
function readProfile(name: string, env: Environment): Profile | null {
  const home = env.HOME || homedir();
  const credentials = readSections(env.AWS_SHARED_CREDENTIALS_FILE || join(home, '.aws', 'credentials'));
  const config = readSections(env.AWS_CONFIG_FILE || join(home, '.aws', 'config'));
  const found = [config.get(name === 'default' ? name : `profile ${name}`), credentials.get(name)];
  return found.some(Boolean) ? Object.assign({}, ...found) : null;
}

/** The sections of an INI file as the AWS tools write it; none if there is no such file. */
function readSections(path: string): Map<string, Profile> {
  const sections = new Map<string, Profile>();
  if (!statusOf(path)) return sections;
  let section: Profile = {};
  for (const line of readWhole(path, MAX_FILE_BYTES, { canBeEmpty: true }).toString().split(/\r?\n/)) {
    const [, title] = /^\[\s*(.+?)\s*\]/.exec(line) ?? [];
    // Indented lines are settings of a service.
    const [, key, value] = /^([\w-]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (title !== undefined) {
      section = Object.create(null);
      sections.set(title, section);
    } else if (key !== undefined) section[key.toLowerCase()] = value;
  }
  return sections;
}
