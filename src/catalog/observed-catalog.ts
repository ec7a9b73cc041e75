import type { Catalog } from './catalog';

/** Told of every call, for the statistics. */
export interface CatalogListener {
  catalogCall(): void;
  catalogFailure(): void;
}

/**
 * A catalog whose calls are counted, and repeated after transient errors: each of its operations may be.
 *
 * @param repeat Runs something again while its errors are transient.
 */
export function observedCatalog(
  catalog: Catalog,
  listener: CatalogListener,
  repeat: <T>(run: () => Promise<T>) => Promise<T>,
): Catalog {
  const call = <T>(run: () => Promise<T>): Promise<T> =>
    repeat(async () => {
      listener.catalogCall();
      try {
        return await run();
      } catch (error) {
        listener.catalogFailure();
        throw error;
      }
    });
  return {
    open: (request) => call(() => catalog.open(request)),
    map: () => call(() => catalog.map()),
    confirm: (done) => call(() => catalog.confirm(done)),
    block: (counter, size, atLeast) => call(() => catalog.block(counter, size, atLeast)),
    sequence: (name, size, atLeast) => call(() => catalog.sequence(name, size, atLeast)),
  };
}
