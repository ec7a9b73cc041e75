import { ConfigError } from '../errors';

/** A place on Earth, in degrees: north and east are positive. */
export interface Point {
  readonly latitude: number;
  readonly longitude: number;
}

/**
 * One city for each region: where Cloudflare has a data centre and much of the region's traffic is exchanged. Within a
 * region the cities differ by less than the regions do, so which one is taken matters only at the borders: Frankfurt,
 * rather than London, leaves Berlin and Rome in the west of Europe.
 *
 * Distance is not latency: São Paulo is 200 km nearer to Johannesburg than to Ashburn, though cables run north. It
 * shows only in a cluster that has a shard in `af`.
 *
 * D1 creates databases in the first six (https://developers.cloudflare.com/d1/configuration/data-location/). `me` and
 * `af` are Durable Objects' regions too (`afr` there), and a caller's.
 */
const CITIES = {
  wnam: { latitude: 37.775, longitude: -122.419 }, // San Francisco
  enam: { latitude: 39.044, longitude: -77.487 }, // Ashburn, Virginia
  weur: { latitude: 50.116, longitude: 8.684 }, // Frankfurt
  eeur: { latitude: 52.23, longitude: 21.012 }, // Warsaw
  apac: { latitude: 1.29, longitude: 103.85 }, // Singapore
  oc: { latitude: -33.868, longitude: 151.207 }, // Sydney
  me: { latitude: 25.077, longitude: 55.309 }, // Dubai
  af: { latitude: -26.202, longitude: 28.044 }, // Johannesburg
} as const satisfies Record<string, Point>;

/** Where a database or a caller is, as Cloudflare's location hints name it. */
export type Region = keyof typeof CITIES;

/** Every region code. */
export const REGIONS: readonly Region[] = Object.keys(CITIES) as Region[];

/** The region for a continent when nothing else is known. South America and Antarctica have none of their own. */
const CONTINENTS = new Map<unknown, Region>([
  ['NA', 'enam'],
  ['SA', 'enam'],
  ['EU', 'weur'],
  ['AS', 'apac'],
  ['OC', 'oc'],
  ['AN', 'oc'],
  ['AF', 'af'],
]);

/** Where a caller is: Cloudflare's `request.cf`, or as much of it as is known. */
export interface Whereabouts {
  /** Degrees; Cloudflare gives them as text. Counts only together with `longitude`. */
  readonly latitude?: string | number | undefined;
  readonly longitude?: string | number | undefined;
  /** `NA`, `EU`, `AS`, `OC`, `AF`, `SA` or `AN`: read when there are no coordinates. */
  readonly continent?: string | undefined;
  /** Not read: a country says less than coordinates and hardly more than the continent. */
  readonly country?: string | undefined;
  /** Not read: the data centre that answers can be far from the caller. */
  readonly colo?: string | undefined;
  /** The type of `request.cf` in a plain `Request` names none of the above. */
  readonly [other: string]: unknown;
}

export const isRegion = (code: unknown): code is Region => typeof code === 'string' && Object.hasOwn(CITIES, code);

/**
 * Refuses what is no region code.
 *
 * @example
 * checkRegion('The region of shard db-east', 'enam');
 * @throws ConfigError that names all codes.
 */
export function checkRegion(where: string, code: unknown): asserts code is Region {
  if (isRegion(code)) return;
  const shown = typeof code === 'string' ? `'${code}'` : `of type ${typeof code}`;
  throw new ConfigError(`${where} is ${shown}.`, { remedy: `Write one of ${REGIONS.join(', ')}.` });
}

/**
 * Where a region or a caller is. Undefined when nothing tells: no coordinates within range and no known continent.
 *
 * @example
 * pointOf('weur');
 * pointOf(request.cf);
 */
export function pointOf(near: Region | Whereabouts | undefined): Point | undefined {
  if (near === undefined || near === null) return undefined;
  if (typeof near === 'string') return isRegion(near) ? CITIES[near] : undefined;
  const latitude = degrees(near.latitude, 90);
  const longitude = degrees(near.longitude, 180);
  if (latitude !== undefined && longitude !== undefined) return { latitude, longitude };
  const region = CONTINENTS.get(near.continent);
  return region && CITIES[region];
}

function degrees(value: unknown, limit: number): number | undefined {
  // Number('') is 0, which is a place in the Gulf of Guinea.
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Math.abs(number) <= limit ? number : undefined;
}

/** The mean radius of the Earth as the IUGG defines it (https://en.wikipedia.org/wiki/Earth_radius). */
const EARTH_RADIUS_KM = 6371.0088;

/**
 * The great-circle distance between two points in kilometres, by the haversine formula
 * (https://en.wikipedia.org/wiki/Haversine_formula). Taking the Earth for a sphere, it is off by 0.5 % at most.
 */
export function distanceKm(a: Point, b: Point): number {
  const haversine = hav(b.latitude - a.latitude) + cos(a.latitude) * cos(b.latitude) * hav(b.longitude - a.longitude);
  // Rounding can lift the haversine of opposite points above 1, of which there is no arcsine.
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.sqrt(Math.min(1, haversine)));
}

const radians = (angle: number): number => (angle * Math.PI) / 180;
const cos = (angle: number): number => Math.cos(radians(angle));
const hav = (angle: number): number => Math.sin(radians(angle) / 2) ** 2;
