export { Calls, type ShardCall } from './calls';
export { D1_ERRORS, type Failing, type Fault } from './fault';
export { type Faults, faultyD1, type Latency } from './faulty-d1';
export { type D1Call, InterceptedD1, type Interceptor } from './intercepted-d1';
export type { ShardName, ShardsOption } from './names';
export type { TestBindings, TestCluster, TestClusterOptions } from './options';
export { type InjectedFault, TestShard } from './test-shard';
