import { type Envelope, errorOf, lost, refusalOf, type Subject } from './api-errors';

/** A call of Cloudflare's client, which gives its answer as it came too. */
interface Call {
  asResponse(): Promise<{ readonly status: number; json(): Promise<unknown> }>;
}

/**
 * The `result` of an answer of the API. It is read here and not by the client, which takes an answer that says `success:
 * false` for one without results.
 *
 * @throws Error as `errorOf` makes them.
 */
export async function resultOf(call: Call, subject: Subject): Promise<unknown> {
  let response: Awaited<ReturnType<Call['asResponse']>>;
  try {
    response = await call.asResponse();
  } catch (error) {
    throw errorOf(error, subject);
  }
  let envelope: Envelope | null;
  try {
    envelope = (await response.json()) as Envelope | null;
  } catch (error) {
    // Half an answer, or a page of a proxy: what was asked for may have been done.
    throw lost('the answer is cut off, or no JSON', error);
  }
  if (!envelope?.success) throw refusalOf(response.status, envelope?.errors, subject);
  return envelope.result;
}
