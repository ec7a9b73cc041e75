export * from '../../src/testing/intercepted-d1';
