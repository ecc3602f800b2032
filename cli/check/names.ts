// Names of values, as they stand in other files.

/** The last name of a path as `sops` writes it; a name itself stays. */
export const bareName = (name: string): string => /\["((?:[^"\\]|\\.)*)"\]$/.exec(name)?.[1] ?? name;
