// The version, in a file of its own so that `seal --version` loads nothing else.

/** It stands in package.json; a test keeps this equal. */
export const version = "0.1.0";
