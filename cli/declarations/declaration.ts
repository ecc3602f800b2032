// What a command's declaration is given: its place in the program, and the surroundings that its action runs in.
import type { Command } from "commander";
import type { Io } from "../io.ts";

type Declare = (spec: string, summary: string, options?: { readonly isDefault?: boolean }) => Command;

/** Each command's options and action. The others are not even made when one of them is called. */
export type Declarations = Readonly<Record<string, (command: Declare, io: Io) => void>>;
