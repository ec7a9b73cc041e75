/** What stands in the JSON of a request. */
export type Parameter = string | number | null;

/**
 * A bound value as JSON. The same values are taken and refused as by a Worker's binding, but for bytes: the API documents
 * no way to send them.
 *
 * @throws Error `D1_TYPE_ERROR: ...`
 */
export function parameterOf(value: unknown): Parameter {
  switch (typeof value) {
    case 'string':
    case 'number':
      return value;
    case 'boolean':
      return value ? 1 : 0;
    case 'object':
      if (value === null) return null;
      if (isBytes(value)) {
        throw typeError(
          "Bytes cannot be sent over Cloudflare's API. Bind them as hexadecimal text and write unhex(?) in the statement.",
        );
      }
  }
  throw typeError(`Type '${typeof value}' not supported for value '${String(value)}'`);
}

function isBytes(value: object): boolean {
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return true;
  return Array.isArray(value) && value.every((byte) => typeof byte === 'number' && byte >= 0 && byte < 256);
}

const typeError = (text: string): Error => new Error(`D1_TYPE_ERROR: ${text}`, { cause: new Error(text) });
