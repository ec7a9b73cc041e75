import type { Catalog } from './catalog';
import { catalogThrough, type OperationName } from './operations';

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
  const call = catalog as unknown as Record<OperationName, (...args: readonly unknown[]) => Promise<unknown>>;
  return catalogThrough((name, args) =>
    repeat(async () => {
      listener.catalogCall();
      try {
        return await call[name](...args);
      } catch (error) {
        listener.catalogFailure();
        throw error;
      }
    }),
  );
}
