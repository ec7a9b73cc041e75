import { beforeAll } from 'vitest';
import { resetDatabases } from './reset';

// Test files share one runtime and its databases (see `vitest.config.ts`), so each begins with empty ones.
beforeAll(resetDatabases);
