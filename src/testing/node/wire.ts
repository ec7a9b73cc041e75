import type { D1Call } from '../intercepted-d1';

/** One round trip to a D1, from Node to the runtime. */
export interface D1Request extends D1Call {
  readonly kind: 'd1';
  /** The name of its binding. */
  readonly database: string;
  /** The constraint or bookmark of `withSession`. */
  readonly session?: string;
  /** Of `first`. */
  readonly column?: string;
  /** Of `raw`. */
  readonly columnNames?: boolean;
}

/** One operation of a coordinator. */
export interface CatalogRequest {
  readonly kind: 'catalog';
  readonly object: string;
  readonly operation: string;
  /** By their places: JSON would make null of an undefined one in a list. */
  readonly args: Readonly<Record<string, unknown>>;
  readonly count: number;
}

/** Empties all databases, what a cluster has in KV, and its coordinator. */
export interface EmptyRequest {
  readonly kind: 'empty';
  readonly cluster: string;
}

export type WireRequest = D1Request | CatalogRequest | EmptyRequest;

/** An error's message, and that of its cause. */
export interface WireError {
  readonly message: string;
  readonly cause?: WireError;
}

export type WireAnswer =
  | { readonly value?: unknown; readonly bookmark?: string | null }
  | { readonly error: WireError };

export const toWire = (error: unknown): WireError =>
  error instanceof Error
    ? { message: error.message, ...(error.cause === undefined ? {} : { cause: toWire(error.cause) }) }
    : { message: String(error) };

export const fromWire = ({ message, cause }: WireError): Error =>
  new Error(message, cause === undefined ? {} : { cause: fromWire(cause) });

/** Asks the runtime. */
export type Ask = (request: WireRequest) => Promise<{ readonly value?: unknown; readonly bookmark?: string | null }>;
