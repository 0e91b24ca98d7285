// All plots.
import type { Plot } from './contract';
import { courage } from './courage';
import { finding } from './finding';
import { friendship } from './friendship';
import { helping } from './helping';

export type { Beat, Plot, Told } from './contract';
export { endings, openings } from './frame';

/** What can happen in a story. */
export const plots: readonly Plot[] = [...finding, ...helping, ...friendship, ...courage];
