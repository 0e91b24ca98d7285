// The kit that any codec and any strategy is held to its contract with.
export type { ConformanceCase } from './case';
export { codebookBound, codecCases } from './codec-cases';
export { type StrategyCaseOptions, strategyCases } from './strategy-cases';
