import { AwsV4Signer } from 'aws4fetch';
import { isLoopback } from '../../base/address.ts';
import { UserError } from '../../base/user-error.ts';
import type { RemoteAddress } from './address.ts';
import { isRegion, type S3Settings, s3Settings } from './credentials.ts';

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
function s3Store({ name, bucket, key }: Extract<RemoteAddress, { bucket: string }>): Store {
  const settings = s3Settings();
  let { region } = settings;
  const sendSigned = async (headers: Record<string, string>, signal: AbortSignal) => {
    const url = objectUrl(bucket, key, region, settings);
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
    hint: settings.keys
      ? 'the credentials that were found do not allow s3:GetObject, or there is no such object'
      : settings.missing,
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

function objectUrl(bucket: string, key: string, region: string, { endpoint }: S3Settings): URL {
  const path = key.split('/').map(encoded).join('/');
  if (endpoint) return new URL(`${endpoint.pathname.replace(/\/+$/, '')}/${bucket}/${path}`, endpoint);
  const host = `s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
  // A certificate for *.s3… does not cover a bucket with dots.
  return new URL(
    bucket.includes('.') ? `https://${host}/${bucket}/${path}` : `https://${bucket}.${host}/${path}`,
  );
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
