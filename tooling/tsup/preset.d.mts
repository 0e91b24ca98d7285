import type { Options } from 'tsup';
export declare function preset(options?: Options): Options;
