// What a plot is. Its sentences have slots in braces: `{hero}` and `{friend}` are names; `{he}` `{his}` `{him}` (and with
// a capital `{He}` `{His}`) always mean the hero; `{animal}` is what the hero is and `{other}` what the friend is; the
// rest are lists in words.ts. Every wording of a beat fits every wording of the beats around it.

/** One step of a story: its wordings, of which a story takes one. */
export type Beat = readonly string[];

/** A course of events between an opening and an ending. */
export interface Plot {
  readonly name: string;
  readonly beats: readonly Beat[];
}

/** A sentence in both manners, where translating word by word would be dull. */
export interface Told {
  readonly plain: string;
  readonly pirate: string;
}
