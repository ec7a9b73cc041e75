import { relations } from 'drizzle-orm';
import { cities } from './cities';
import { countries } from './countries';
import { users } from './users';
import { visits } from './visits';

export const usersRelations = relations(users, ({ many }) => ({
  visits: many(visits),
}));

export const visitsRelations = relations(visits, ({ one }) => ({
  user: one(users, { fields: [visits.userId], references: [users.id] }),
  city: one(cities, { fields: [visits.cityId], references: [cities.id] }),
}));

export const citiesRelations = relations(cities, ({ one, many }) => ({
  country: one(countries, { fields: [cities.countryCode], references: [countries.code] }),
  visits: many(visits),
}));

export const countriesRelations = relations(countries, ({ many }) => ({
  cities: many(cities),
}));
