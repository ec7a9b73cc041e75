import { env } from 'cloudflare:workers';

export interface City {
  readonly id: string;
  readonly name: string;
  readonly country: string;
  readonly population: number;
}

/** The largest cities of the world, the largest first. At most 10,000. */
export const cities = (count: number): City[] =>
  env.CITIES.slice(0, count).map(([id, name, country, population]) => ({ id, name, country, population }));
