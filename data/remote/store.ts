import { homedir } from 'node:os';
import { join } from 'node:path';
import { AwsV4Signer } from 'aws4fetch';
import { assertSecret, isLoopback } from '../../base/address.ts';
import { readWhole, statusOf } from '../../base/files.ts';
import { withoutEnd } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import type { RemoteAddress } from './address.ts';

/** Requests to a store or web server: addresses, credentials from the environment, signatures. Credentials stay here, and go to that store alone. */

/** One remote file, to which requests can be sent. */
export interface Store {
  /** Its address, for messages. */
  readonly name: string;
  /** Sends a GET with these headers, and follows redirects. Rejects with a UserError if they lead nowhere. */
  get(headers: Record<string, string>, signal: AbortSignal): Promise<Response>;
  /** What to do about an answer of 401 or 403. */
  readonly hint: string;
}

const MAX_REDIRECTS = 5;
const REDIRECTS = [301, 302, 303, 307, 308];
/** A decoded body would have other bytes than the file. For parts of it, `fetch` sends this by itself. */
const AS_IT_IS = { 'accept-encoding': 'identity' };

export function storeOf(address: RemoteAddress): Store {
  return 'bucket' in address ? s3Store(address) : webStore(address);
}

/** A file on the web. No credentials are ever sent. */
function webStore({ name, url }: Extract<RemoteAddress, { url: URL }>): Store {
  // That of a redirect, which would cost a second request each time.
  let target = url;
  return {
    name,
    hint: 'it must be public, as no credentials are sent over https',
    async get(headers, signal) {
      for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
        const response = await send(target, headers, signal);
        if (REDIRECTS.includes(response.status)) {
          await response.body?.cancel();
          target = redirected(name, target, response.headers.get('location'));
        } else if (target !== url && response.status >= 400 && response.status < 500) {
          // An address with a signature expires.
          await response.body?.cancel();
          target = url;
        } else return response;
      }
      target = url;
      throw new UserError(
        `${name} is redirected more than ${MAX_REDIRECTS} times, or to an address that fails: check it in a browser`,
      );
    },
  };
}

/** UserError for a redirect that leads to no valid address, out of TLS, or from elsewhere into this machine. */
function redirected(name: string, from: URL, location: string | null): URL {
  const isValid = location !== null && URL.canParse(location, from.href);
  const to = isValid ? new URL(location, from) : null;
  const isHere = to !== null && isLoopback(to.hostname);
  const isAllowed = isHere
    ? isLoopback(from.hostname) && /^https?:$/.test(to.protocol)
    : to?.protocol === 'https:';
  if (!to || !isAllowed || to.username || to.password)
    throw new UserError(
      `${name} is redirected to an address that may not be read (not https, or of this machine): use that of the file itself`,
    );
  return to;
}

/** An object of an S3 store; requests are signed if the environment has credentials. */
const s3Store = ({ name, bucket, key }: S3Address): Store =>
  s3Requests(name, 's3:GetObject, or there is no such object', (region, endpoint) =>
    objectUrl(bucket, key, region, endpoint),
  );

/** The list of objects whose keys begin with this prefix, up to a thousand, after those that have come with `token`. */
export const s3List = ({ name, bucket, key: prefix }: S3Address, token: string | null): Store =>
  s3Requests(name, 's3:ListBucket', (region, endpoint) => {
    const url = objectUrl(bucket, '', region, endpoint);
    const query = {
      'list-type': '2',
      'encoding-type': 'url',
      prefix,
      ...(token && { 'continuation-token': token }),
    };
    url.search = Object.entries(query)
      .map(([field, value]) => `${field}=${encoded(value)}`)
      .join('&');
    return url;
  });

type S3Address = Extract<RemoteAddress, { bucket: string }>;

/** `allowed`: what credentials have to allow. */
function s3Requests(
  name: string,
  allowed: string,
  urlIn: (region: string, endpoint: URL | null) => URL,
): Store {
  const settings = s3Settings();
  let { region } = settings;
  const sendSigned = async (headers: Record<string, string>, signal: AbortSignal) => {
    const url = urlIn(region, settings.endpoint);
    if (!settings.keys) return send(url, headers, signal);
    const signer = new AwsV4Signer({
      ...{ url: url.href, method: 'GET', headers, service: 's3', region },
      ...settings.keys,
    });
    const signed = await signer.sign().catch(() => {
      // Its error may have the secret in it.
      throw new UserError(`${name}: the credentials that were found cannot sign a request: renew them`);
    });
    return send(url, Object.fromEntries(signed.headers), signal);
  };
  return {
    name,
    hint: settings.keys ? `the credentials that were found do not allow ${allowed}` : settings.missing,
    async get(headers, signal) {
      const response = await sendSigned(headers, signal);
      // The store says where the bucket is.
      const elsewhere = response.headers.get('x-amz-bucket-region');
      if (response.ok || !elsewhere || elsewhere === region || !isRegion(elsewhere)) return response;
      await response.body?.cancel();
      region = elsewhere;
      return sendSigned(headers, signal);
    },
  };
}

function objectUrl(bucket: string, key: string, region: string, endpoint: URL | null): URL {
  const path = key.split('/').map(encoded).join('/');
  // Some stores take /BUCKET/ for an object without a name, not for the bucket.
  const inBucket = path && `/${path}`;
  if (endpoint) return new URL(`${withoutEnd(endpoint.pathname, /\//)}/${bucket}${inBucket}`, endpoint);
  const host = `s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
  // A certificate for *.s3… does not cover a bucket with dots.
  const isCovered = !bucket.includes('.');
  return new URL(isCovered ? `https://${bucket}.${host}/${path}` : `https://${host}/${bucket}${inBucket}`);
}

/** As it is signed: RFC 3986 has more reserved characters. */
const encoded = (text: string) =>
  encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );

const send = (url: URL, headers: Record<string, string>, signal: AbortSignal): Promise<Response> =>
  fetch(url, {
    headers: { ...('range' in headers ? {} : AS_IT_IS), ...headers },
    redirect: 'manual',
    signal,
  });

type Environment = Record<string, string | undefined>;
type Profile = Record<string, string>;

const MAX_FILE_BYTES = 1 << 20;

/**
 * The settings for S3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, else the keys of AWS_PROFILE (`default`) in
 * ~/.aws/credentials and ~/.aws/config; AWS_REGION; AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL. UserError, which names no value that may be a
 * secret, for settings that cannot be used. Without `keys`, requests are not signed, which is enough for a public bucket; `missing` says why
 * there are none; `endpoint`: where the store is, null: Amazon's.
 */
export function s3Settings(env: Environment = process.env) {
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

/** Can this be the name of a region? The host's name is made of it. */
const isRegion = (text: string) => /^[a-z0-9-]{1,32}$/.test(text);

function keysOf(env: Environment) {
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: token } = env;
  if (id && !secret) throw new UserError('AWS_ACCESS_KEY_ID is set, but not AWS_SECRET_ACCESS_KEY: set both');
  if (!id || !secret) return null;
  assertSecret('AWS_ACCESS_KEY_ID', id);
  assertSecret('AWS_SECRET_ACCESS_KEY', secret);
  if (token) assertSecret('AWS_SESSION_TOKEN', token);
  return { accessKeyId: id, secretAccessKey: secret, ...(token && { sessionToken: token }) };
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
