import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';

/** How an error is answered. */
export interface ErrorAnswer {
  status: ContentfulStatusCode;
  body: { error: string; code: string; message: string };
}

/** What D1 says about a row that the caller, not the server, got wrong. Its wording varies around these words. */
const CONSTRAINTS: [text: string, status: ContentfulStatusCode, code: string][] = [
  ['UNIQUE constraint failed', 409, 'ALREADY_EXISTS'],
  ['FOREIGN KEY constraint failed', 404, 'NOT_FOUND'],
];

export function errorAnswer(error: unknown): ErrorAnswer {
  const chain = [...causes(error)];
  const root = chain.at(-1) ?? new Error(String(error));
  for (const [text, status, code] of CONSTRAINTS) {
    if (chain.some(({ message }) => message.includes(text))) return answer(status, root, code);
  }
  // Drizzle wraps what the database threw; the error that has a code is the one that explains itself.
  const explained = chain.find((cause) => typeof (cause as { code?: unknown }).code === 'string') ?? root;
  const status = explained instanceof HTTPException ? (explained.status as ContentfulStatusCode) : 500;
  return answer(status, explained, (explained as { code?: string }).code ?? `HTTP_${status}`);
}

const answer = (status: ContentfulStatusCode, error: Error, code: string): ErrorAnswer => ({
  status,
  body: { error: error.name, code, message: error.message },
});

function* causes(error: unknown): Generator<Error> {
  for (let cause = error; cause instanceof Error; cause = cause.cause) yield cause;
}
