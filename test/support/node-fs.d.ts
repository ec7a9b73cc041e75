/** What tests use of workerd's own; all of Node's types would let the library use what Workers do not have. */
declare module 'node:fs' {
  export function mkdirSync(path: string, options: { recursive: true }): void;
  export function writeFileSync(path: string, text: string): void;
}
