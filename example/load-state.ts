/** How far an earlier load of the data set came: what the load Worker answers to `GET /state`. */
export interface LoadState {
  cities: number;
  /** The highest city id that is there, or null when none is. */
  lastCityId: number | null;
  /** The smallest number of countries that a shard has. */
  countries: number;
}
