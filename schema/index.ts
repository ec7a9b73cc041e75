export * from './cities';
export * from './countries';
export * from './relations';
export * from './users';
export * from './visits';
