import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors';
import {
  checkRegion,
  distanceKm,
  isRegion,
  type Point,
  pointOf,
  REGIONS,
  type Region,
} from '../../src/placement/regions';

const at = (latitude: number, longitude: number): Point => ({ latitude, longitude });
const SAN_FRANCISCO = at(37.775, -122.419);
const NEW_YORK = at(40.714, -74.006);

const pointOfRegion = (region: Region) => pointOf(region) as Point;
const nearestRegion = (point: Point) =>
  REGIONS.reduce((best, region) =>
    distanceKm(point, pointOfRegion(region)) < distanceKm(point, pointOfRegion(best)) ? region : best,
  );

describe('region codes', () => {
  it('are these eight', () => {
    expect(REGIONS).toEqual(['wnam', 'enam', 'weur', 'eeur', 'apac', 'oc', 'me', 'af']);
    expect(REGIONS.every(isRegion)).toBe(true);
  });

  it.each(['mars', 'WEUR', '', 'toString', '__proto__', undefined, null, 7, ['weur']])('are not %j', (code) => {
    expect(isRegion(code)).toBe(false);
    const check = () => checkRegion('The region of shard a', code);
    expect(check).toThrow(ConfigError);
    expect(check).toThrow(/^The region of shard a is .*wnam, enam, weur, eeur, apac, oc, me, af/);
  });

  it('pass the check', () => {
    for (const region of REGIONS) expect(() => checkRegion('x', region)).not.toThrow();
  });
});

describe('distances', () => {
  // Great-circle distances between the cities, as published.
  it.each([
    ['San Francisco', SAN_FRANCISCO, 'New York', NEW_YORK, 4130],
    ['London', at(51.509, -0.126), 'Sydney', at(-33.868, 151.207), 16_994],
    ['Frankfurt', at(50.116, 8.684), 'Warsaw', at(52.23, 21.012), 892],
    ['Suva', at(-18.142, 178.442), 'Apia', at(-13.834, -171.767), 1147],
    ['the poles', at(90, 0), 'each other', at(-90, 0), 20_015],
    ['opposite points', at(33.3, 12.7), 'each other', at(-33.3, -167.3), 20_015],
  ])('%s %j to %s %j is %i km within 1 %%', (_a, a, _b, b, km) => {
    expect(distanceKm(a, b) / km).toBeGreaterThan(0.99);
    expect(distanceKm(a, b) / km).toBeLessThan(1.01);
    expect(distanceKm(b, a)).toBeCloseTo(distanceKm(a, b), 6);
  });

  it('are a number for all opposite points, where rounding goes above the sphere', () => {
    for (let latitude = -90; latitude <= 90; latitude += 0.5) {
      expect(distanceKm(at(latitude, 12), at(-latitude, -168))).toBeGreaterThan(20_014);
    }
  });

  it.each(REGIONS.map((region) => [region]))('%s is nearest to itself', (region) => {
    expect(distanceKm(pointOfRegion(region), pointOfRegion(region))).toBe(0);
    expect(nearestRegion(pointOfRegion(region))).toBe(region);
  });

  it.each<[string, Point, Region]>([
    ['Los Angeles', at(34.05, -118.24), 'wnam'],
    ['New York', NEW_YORK, 'enam'],
    ['Bogotá', at(4.61, -74.08), 'enam'],
    ['London', at(51.51, -0.13), 'weur'],
    ['Berlin', at(52.52, 13.4), 'weur'],
    ['Kyiv', at(50.45, 30.52), 'eeur'],
    ['Tokyo', at(35.69, 139.69), 'apac'],
    ['Auckland', at(-36.85, 174.76), 'oc'],
    ['Riyadh', at(24.69, 46.72), 'me'],
    ['Lagos', at(6.45, 3.39), 'af'],
  ])('%s belongs to %j', (_city, point, region) => {
    expect(nearestRegion(point)).toBe(region);
  });
});

describe('where a caller is', () => {
  it.each([
    ['text, as Cloudflare gives it', { latitude: '40.714', longitude: '-74.006', continent: 'EU' }, NEW_YORK],
    ['numbers', { latitude: 40.714, longitude: -74.006 }, NEW_YORK],
    ['the edges of the range', { latitude: '-90', longitude: 180 }, at(-90, 180)],
    ['zero', { latitude: 0, longitude: '0' }, at(0, 0)],
  ])('is read from coordinates: %s', (_what, cf, point) => {
    expect(pointOf(cf)).toEqual(point);
  });

  it.each([
    ['none', {}],
    ['one only', { latitude: '40.7' }],
    ['the other only', { longitude: 8 }],
    ['empty text', { latitude: '', longitude: ' ' }],
    ['other text', { latitude: 'north', longitude: '8' }],
    ['not a number', { latitude: Number.NaN, longitude: 8 }],
    ['infinite', { latitude: 1, longitude: 'Infinity' }],
    ['latitude out of range', { latitude: 90.1, longitude: 8 }],
    ['longitude out of range', { latitude: 1, longitude: '-180.5' }],
  ])('is read from the continent when coordinates are no use: %s', (_what, cf) => {
    expect(pointOf({ ...cf, continent: 'OC' })).toEqual(pointOf('oc'));
    expect(pointOf(cf)).toBeUndefined();
  });

  it.each<[string, Region]>([
    ['NA', 'enam'],
    ['EU', 'weur'],
    ['AS', 'apac'],
    ['OC', 'oc'],
    ['AF', 'af'],
    ['SA', 'enam'],
    ['AN', 'oc'],
  ])('takes continent %s for %s', (continent, region) => {
    expect(pointOf(region)).toBeDefined();
    expect(pointOf({ continent, country: 'XX', colo: 'FRA' })).toEqual(pointOf(region));
  });

  it('is not known from anything else', () => {
    expect(pointOf({ country: 'DE', colo: 'FRA' })).toBeUndefined();
    expect(pointOf({ continent: 'T1' })).toBeUndefined();
    expect(pointOf('mars' as Region)).toBeUndefined();
    expect(pointOf(undefined)).toBeUndefined();
    expect(pointOf(null as unknown as undefined)).toBeUndefined();
  });

  it('takes the cf property of a request as it is', () => {
    const fromRequest = (request: Request) => pointOf(request.cf);
    const fromHandler = (request: Parameters<ExportedHandlerFetchHandler>[0]) => pointOf(request.cf);
    const request = new Request('https://example.com');
    expect([fromRequest(request), fromHandler(request as Parameters<typeof fromHandler>[0])]).toEqual([
      undefined,
      undefined,
    ]);
  });
});
