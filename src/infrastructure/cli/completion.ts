import type { Command } from "commander";

export const SHELLS = ["bash", "zsh"] as const;

export type Shell = (typeof SHELLS)[number];

/** Words that may stand behind each command: its sub-commands and flags, and the flags of all. */
function wordsByCommand(program: Command): ReadonlyMap<string, readonly string[]> {
  const common = flagsOf(program);
  const result = new Map<string, readonly string[]>();
  const visit = (command: Command, path: string): void => {
    const own = command === program ? [] : flagsOf(command);
    result.set(path, [...command.commands.map((inner) => inner.name()), ...own, ...common]);
    for (const inner of command.commands) visit(inner, path === "" ? inner.name() : `${path} ${inner.name()}`);
  };
  visit(program, "");
  return result;
}

function flagsOf(command: Command): readonly string[] {
  return command.options.flatMap(({ short, long, hidden }) =>
    (hidden ? [] : [short, long]).filter((flag) => flag != null),
  );
}

/** A script for the shell that completes commands and flags, and files behind `-c` and `--dotenv`. */
export function completionScript(program: Command, shell: Shell): string {
  const name = program.name();
  const cases = Array.from(wordsByCommand(program), ([path, words]) => `    "${path}") words="${words.join(" ")}" ;;`);
  const subcommands = [...wordsByCommand(program).keys()].filter((path) => path !== "").map((path) => `"${path}"`);
  const body = [
    `_${name}() {`,
    '  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} path="" next word words=""',
    "  COMPREPLY=()",
    '  case "$previous" in',
    '    -c|--config|--dotenv) COMPREPLY=($(compgen -f -- "$current")); return ;;',
    '    -w|--work-dir) COMPREPLY=($(compgen -d -- "$current")); return ;;',
    "  esac",
    '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
    '    if [[ -n $path ]]; then next="$path $word"; else next="$word"; fi',
    `    case "$next" in ${subcommands.join("|")}) path=$next ;; esac`,
    "  done",
    '  case "$path" in',
    ...cases,
    "  esac",
    '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
    "}",
    `complete -F _${name} ${name}`,
  ];
  const head =
    shell === "bash"
      ? [`# Put into ~/.bashrc: source <(${name} completion bash)`]
      : [`# Put into ~/.zshrc: source <(${name} completion zsh)`, "autoload -U +X bashcompinit && bashcompinit"];
  return `${[...head, ...body].join("\n")}\n`;
}
