import { index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { users } from './users';

/** Who was where, and when. Sharded by `userId`: visits live with their user, so the foreign key is checked locally. */
export const visits = sqliteTable(
  'visits',
  {
    id: text('id')
      .primaryKey()
      .$defaultFn(() => crypto.randomUUID()),
    userId: text('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    /** `cities.id`, without a foreign key: a city is sharded by its own id, and SQLite cannot check another database. */
    cityId: integer('city_id').notNull(),
    note: text('note'),
    visitedAt: integer('visited_at', { mode: 'timestamp_ms' })
      .notNull()
      .$defaultFn(() => new Date()),
  },
  (table) => [index('visits_user_idx').on(table.userId, table.visitedAt)],
);
