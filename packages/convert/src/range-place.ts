// Where a range of values lies.

/** Where a range lies, for messages. */
export interface RangePlace {
  /** The file or folder, and the tensor. */
  readonly where: readonly string[];
  /** Index of the first value. */
  readonly start: number;
}
