import { type CityRow, cityRows, countryRows } from './dataset.ts';

/** What the example should answer, computed from the data set in memory, without any database. */

const byPopulation = (a: CityRow, b: CityRow) => b.population - a.population || a.id - b.id;

export const largestCities = (limit: number): CityRow[] => cityRows.toSorted(byPopulation).slice(0, limit);

/** SQLite's LIKE ignores the case of ASCII letters, and of no others. */
const foldAscii = (text: string) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

export const citiesBeginningWith = (prefix: string, limit: number): CityRow[] =>
  cityRows
    .filter((city) => foldAscii(city.name).startsWith(foldAscii(prefix)))
    .sort(byPopulation)
    .slice(0, limit);

export function countriesByPopulation(limit: number) {
  return countryRows
    .map(({ code, name, flag, region }) => {
      const own = cityRows.filter((city) => city.countryCode === code);
      const population = own.reduce((sum, city) => sum + city.population, 0);
      return { code, name, flag, region, cities: own.length, population };
    })
    .filter((country) => country.cities > 0)
    .sort((a, b) => b.population - a.population || compare(a.code, b.code))
    .slice(0, limit);
}

export const countriesByName = () => countryRows.toSorted((a, b) => compare(a.name, b.name));

export function cityWithCountry(id: number) {
  const city = cityRows.find((row) => row.id === id);
  const country = countryRows.find((row) => row.code === city?.countryCode);
  return city && country && { ...city, country: { name: country.name, flag: country.flag } };
}

/** The order of SQLite's BINARY collation, for text without characters beyond the basic plane. */
const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
