import { APIError } from 'cloudflare/core/error';
import { type ErrorDetails, ShardedDrizzleError } from '../../errors';

/** Cloudflare's API refuses to do what was asked, whatever the statement says. Nothing was run. */
export class CloudflareApiError extends ShardedDrizzleError {
  constructor(message: string, details?: ErrorDetails) {
    super('CLOUDFLARE_API', message, details);
  }
}

/** What all answers of the API are wrapped in. */
export interface Envelope {
  readonly success?: boolean;
  readonly errors?: unknown;
  readonly result?: unknown;
}

interface ApiMessage {
  readonly code?: number;
  readonly message?: string;
}

/** What a request was about, for the words of its errors. */
export interface Subject {
  readonly accountId: string;
  /** Undefined where the account itself is asked. */
  readonly database?: { readonly id: string; readonly name: string } | undefined;
}

/** The database has answered: its words are those of SQLite or of D1. */
const SAID_BY_D1 = 7500;
const NO_SUCH_DATABASE = 7404;
const NO_SUCH_ROUTE = 7003;
const NOT_YOUR_ACCOUNT = 7403;
/** Authentication error, invalid token, invalid headers: the token is wrong or may not do this. */
const NOT_ALLOWED = [10_000, 9109, 6003];

/** With these, no connection came about, so the request was not sent. */
const NEVER_SENT = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'];

/**
 * An error of Cloudflare's client as one of ours: a `CloudflareApiError` that says what to do, or one with the words of a
 * Worker's binding, by which `execution/retry.ts` tells whether the statement may have been run.
 */
export function errorOf(error: unknown, subject: Subject): Error {
  if (!(error instanceof APIError)) return lost(messageOf(error), error);
  if (error.status === undefined) return withoutAnswer(error);
  return refusalOf(error.status, error.errors, subject, error);
}

/** The error that an answer with this status and these messages is. */
export function refusalOf(status: number, messages: unknown, subject: Subject, cause?: unknown): Error {
  const [first] = Array.isArray(messages) ? (messages as ApiMessage[]) : [];
  const said = first?.message ?? '';
  const code = first?.code ?? 0;
  if (code === SAID_BY_D1 && said && !said.startsWith('internal error')) return d1Error(said);
  if (status >= 500) return lost(`Cloudflare's API answered ${status}${said ? `: ${said}` : ''}`, cause);

  const { accountId, database } = subject;
  const told = `${said || `status ${status}`}${code ? ` [code: ${code}]` : ''}`;
  if (status === 429) {
    return new CloudflareApiError(`Cloudflare's API goes on refusing requests as too many: ${told}.`, {
      remedy: 'Try again in five minutes, or find out what else uses the API with this token.',
      cause,
    });
  }
  if (code === NOT_YOUR_ACCOUNT) {
    return new CloudflareApiError(`The API token has no access to the account ${accountId}: ${told}.`, {
      remedy: 'Check CLOUDFLARE_ACCOUNT_ID, and that CLOUDFLARE_API_TOKEN is a token of that account with D1:Edit.',
      cause,
    });
  }
  if (status === 401 || status === 403 || NOT_ALLOWED.includes(code)) {
    return new CloudflareApiError(`The API token is not accepted: ${told}.`, {
      remedy: `Set CLOUDFLARE_API_TOKEN to a token with the permission D1:Edit for the account ${accountId}.`,
      cause,
    });
  }
  if (status === 404 || [NO_SUCH_DATABASE, NO_SUCH_ROUTE].includes(code) || said.includes('decode id')) {
    const what = database ? `There is no database ${database.id} (${database.name})` : 'There is no such thing';
    return new CloudflareApiError(`${what} in the account ${accountId}: ${told}.`, {
      remedy:
        'Check the database_id in the configuration and CLOUDFLARE_ACCOUNT_ID; `npx wrangler d1 list` lists them.',
      cause,
    });
  }
  // The API has looked at the statement before the database did.
  if (database) return d1Error(said || told);
  return new CloudflareApiError(`Cloudflare's API refuses: ${told}.`, { cause });
}

/** As a Worker's binding throws it. */
export const d1Error = (text: string): Error => new Error(`D1_ERROR: ${text}`, { cause: new Error(text) });

/** The request may have been carried out. */
export const lost = (reason: string, cause: unknown): Error =>
  new Error(`D1_ERROR: Network connection lost. (${reason})`, { cause });

function withoutAnswer(error: APIError): Error {
  const code = codeOf(error.cause);
  if (!code || !NEVER_SENT.includes(code)) return lost(reasonOf(error), error);
  const text = `Cannot resolve D1 DB due to transient issue: Cloudflare's API cannot be reached (${code})`;
  return new Error(`D1_ERROR: ${text}`, { cause: error });
}

/** `fetch` fails with an error whose cause, or whose causes, have the code. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  return codeOf(error instanceof AggregateError ? error.errors[0] : error.cause);
}

function reasonOf(error: Error): string {
  return error.cause instanceof Error ? reasonOf(error.cause) : messageOf(error);
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
