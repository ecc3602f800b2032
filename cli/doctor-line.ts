// What `seal doctor` says of one thing: a verdict, and for what is not in order the command that mends it.

export interface DoctorLine {
  readonly about: string;
  readonly status: "ok" | "warn" | "fail";
  readonly message: string;
  /** What to type, or to do. */
  readonly mend?: string;
}

export const ok = (about: string, message: string): DoctorLine => ({ about, status: "ok", message });
export const warn = (about: string, message: string, mend: string): DoctorLine => ({
  about,
  status: "warn",
  message,
  mend,
});
export const fail = (about: string, message: string, mend: string): DoctorLine => ({
  about,
  status: "fail",
  message,
  mend,
});
