// Splits the text of a variable such as EDITOR into a program and its arguments. No shell reads it, so nothing in it is
// expanded; what the words are for is not known here.

/** Splits at blanks outside quotes. */
export function splitCommand(text: string): readonly string[] {
  const words = text.match(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g) ?? [];
  return words.map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, "$1$2"));
}
