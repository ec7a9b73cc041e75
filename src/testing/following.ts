/**
 * An object that always is the one that `current` gives: whoever holds it, holds the newest.
 *
 * Methods run on the newest as well, as they read what they need from `this`.
 */
export const following = <T extends object>(current: () => T): T =>
  new Proxy({} as T, {
    get: (_target, property) => Reflect.get(current(), property),
    has: (_target, property) => Reflect.has(current(), property),
    // Drizzle asks of what class something is.
    getPrototypeOf: () => Reflect.getPrototypeOf(current()),
  });
