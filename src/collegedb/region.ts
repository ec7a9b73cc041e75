import { distanceKm, type Point, pointOf, REGIONS, type Region, type Whereabouts } from '../placement/regions';

/**
 * The region that is nearest to where a request comes from, by Cloudflare's coordinates or else by its continent.
 *
 * @example
 * initialize({ ...config, strategy: 'location', targetRegion: getClosestRegionFromIP(request) });
 */
export function getClosestRegionFromIP(request: Request): Region {
  const point = pointOf(request.cf as Whereabouts | undefined);
  if (!point) return 'wnam';
  const away = (region: Region) => distanceKm(point, pointOf(region) as Point);
  return REGIONS.reduce((best, region) => (away(region) < away(best) ? region : best));
}
