/* Help texts, manual pages and completion, all made from the table of commands. */
#include <stdio.h>
#include <string.h>

#include "command.h"

#define WIDTH 79

static const char *const common_exits[] = {
    "0  success",
    "2  the command line is wrong",
    "3  the file is no trace, damaged, unfinished, or of a version that cannot be read",
    "4  the system refused: input or output, memory, permission, full disk",
    "5  what was asked for is not in the trace",
    NULL,
};

static const char about[] =
    "whoholds records every allocation of an unmodified Linux program with its stack, takes "
    "snapshots of its reference graph, and answers which variable or container holds the live "
    "bytes, next to who created them. Everything is in one SQLite file that the stock sqlite3 "
    "shell reads.";

/* Prints words wrapped between columns, the first line already standing at column `at`. */
static void wrap(FILE *file, const char *text, size_t length, int indent, int at) {
    const char *end = text + length;
    while (text < end) {
        while (text < end && (*text == ' ' || *text == '\n'))
            text++;
        const char *word = text;
        while (text < end && *text != ' ' && *text != '\n')
            text++;
        int n = (int)(text - word);
        if (n == 0)
            break;
        if (at > indent && at + 1 + n > WIDTH) {
            fputc('\n', file);
            at = 0;
        }
        if (at < indent)
            at += fprintf(file, "%*s", indent - at, "");
        else if (at > indent)
            at += fprintf(file, " ");
        at += fprintf(file, "%.*s", n, word);
    }
    fputc('\n', file);
}

/* Calls back with every paragraph, or line that is kept as it is. */
static void each_paragraph(const char *text,
                           void (*paragraph)(FILE *, const char *, size_t, int is_verbatim),
                           FILE *file) {
    while (*text) {
        if (*text == '\n') {
            paragraph(file, text, 0, 0);
            text++;
            continue;
        }
        const char *start = text;
        int is_verbatim = *text == ' ';
        while (*text) {
            text = strchrnul(text, '\n');
            if (is_verbatim || !*text || text[1] == '\n' || text[1] == ' ' || !text[1])
                break;
            text++;
        }
        paragraph(file, start, (size_t)(text - start), is_verbatim);
        if (*text)
            text++;
    }
}

/* --- help
 * ----------------------------------------------------------------------------------------- */

static void help_paragraph(FILE *file, const char *text, size_t length, int is_verbatim) {
    if (is_verbatim)
        fprintf(file, "%.*s\n", (int)length, text);
    else
        wrap(file, text, length, 0, 0);
}

static void help_option(FILE *file, const struct wh_option *o) {
    int at = o->letter ? fprintf(file, "  -%c, --%s", o->letter, o->name)
                       : fprintf(file, "      --%s", o->name);
    if (o->argument)
        at += fprintf(file, "=%s", o->argument);
    if (at > 26) {
        fputc('\n', file);
        at = 0;
    }
    char text[1024];
    snprintf(text, sizeof text, "%s%s%s%s", o->help, o->fallback ? " (default: " : "",
             o->fallback ? o->fallback : "", o->fallback ? ")" : "");
    wrap(file, text, strlen(text), 28, at);
}

void wh_help_overview(FILE *file) {
    fprintf(file, "usage: whoholds COMMAND [options] [FILE]\n\n");
    wrap(file, about, strlen(about), 0, 0);
    fprintf(file, "\n");
    for (int i = 0; wh_commands[i]; i++)
        if (wh_commands[i]->summary) {
            int at = fprintf(file, "  %-10s", wh_commands[i]->name);
            wrap(file, wh_commands[i]->summary, strlen(wh_commands[i]->summary), 13, at);
        }
    fprintf(file, "\n`whoholds help COMMAND` explains one of them.\n");
}

void wh_help_command(FILE *file, const struct wh_command *command) {
    static const struct wh_option help = {"help", 'h', NULL, "print this text", NULL};
    fprintf(file, "usage: whoholds %s %s\n\n", command->name, command->usage);
    each_paragraph(command->text, help_paragraph, file);
    fprintf(file, "\nOptions:\n");
    for (const struct wh_option *o = command->options; o && o->name; o++)
        help_option(file, o);
    help_option(file, &help);
    fprintf(file, "\nExit status:\n");
    for (int i = 0; common_exits[i]; i++)
        fprintf(file, "  %s\n", common_exits[i]);
    if (command->exits)
        for (const char *p = command->exits; *p;) {
            const char *end = strchrnul(p, '\n');
            fprintf(file, "  %.*s\n", (int)(end - p), p);
            p = *end ? end + 1 : end;
        }
}

/* --- manual pages
 * --------------------------------------------------------------------------------- */

/* Text for troff: backslashes and hyphens escaped, a leading dot or quote made harmless. */
static void troff(FILE *file, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if ((text[i] == '.' || text[i] == '\'') && (i == 0 || text[i - 1] == '\n'))
            fputs("\\&", file);
        if (text[i] == '\\')
            fputs("\\e", file);
        else if (text[i] == '-')
            fputs("\\-", file);
        else
            fputc(text[i], file);
    }
}

static void man_paragraph(FILE *file, const char *text, size_t length, int is_verbatim) {
    if (length == 0) {
        fputs(".PP\n", file);
    } else if (is_verbatim) {
        fputs(".RS\n.nf\n", file);
        troff(file, text + 1, length - 1);
        fputs("\n.fi\n.RE\n", file);
    } else {
        troff(file, text, length);
        fputc('\n', file);
    }
}

static void man_option(FILE *file, const struct wh_option *o) {
    fputs(".TP\n", file);
    if (o->letter)
        fprintf(file, "\\fB\\-%c\\fR, ", o->letter);
    fputs("\\fB\\-\\-", file);
    troff(file, o->name, strlen(o->name));
    fputs("\\fR", file);
    if (o->argument) {
        fputs("=\\fI", file);
        troff(file, o->argument, strlen(o->argument));
        fputs("\\fR", file);
    }
    fputc('\n', file);
    troff(file, o->help, strlen(o->help));
    if (o->fallback) {
        fputs(" (default: ", file);
        troff(file, o->fallback, strlen(o->fallback));
        fputc(')', file);
    }
    fputc('\n', file);
}

static void man_exits(FILE *file, const char *lines) {
    while (*lines) {
        const char *end = strchrnul(lines, '\n');
        const char *space = strchrnul(lines, ' ');
        if (space > end)
            space = end;
        fprintf(file, ".TP\n.B %.*s\n", (int)(space - lines), lines);
        while (space < end && *space == ' ')
            space++;
        troff(file, space, (size_t)(end - space));
        fputc('\n', file);
        lines = *end ? end + 1 : end;
    }
}

static void man_see_also(FILE *file, const struct wh_command *except) {
    fputs(".SH SEE ALSO\n", file);
    if (except)
        fputs(".BR whoholds (1),\n", file);
    for (int i = 0; wh_commands[i]; i++)
        if (wh_commands[i]->summary && wh_commands[i] != except)
            fprintf(file, ".BR whoholds\\-%s (1)%s\n", wh_commands[i]->name,
                    wh_commands[i + 1] && wh_commands[i + 1]->summary ? "," : "");
}

static void man_whoholds(FILE *file) {
    fprintf(file, ".TH WHOHOLDS 1 \"\" \"whoholds %s\" \"User Commands\"\n", WH_VERSION);
    fputs(".SH NAME\nwhoholds \\- who created the live bytes, and who holds them\n", file);
    fputs(".SH SYNOPSIS\n.B whoholds\n.I COMMAND\n[options] [\\fIFILE\\fR]\n.SH DESCRIPTION\n",
          file);
    troff(file, about, strlen(about));
    fputs("\n.SH COMMANDS\n", file);
    for (int i = 0; wh_commands[i]; i++)
        if (wh_commands[i]->summary) {
            fprintf(file, ".TP\n.BR whoholds\\-%s (1)\n", wh_commands[i]->name);
            troff(file, wh_commands[i]->summary, strlen(wh_commands[i]->summary));
            fputc('\n', file);
        }
    fputs(".SH EXIT STATUS\n", file);
    for (int i = 0; common_exits[i]; i++)
        man_exits(file, common_exits[i]);
    man_see_also(file, NULL);
}

void wh_help_man(FILE *file, const struct wh_command *command) {
    static const struct wh_option help = {"help", 'h', NULL, "print a summary of this page", NULL};
    if (!command) {
        man_whoholds(file);
        return;
    }
    fprintf(file, ".TH WHOHOLDS-%s 1 \"\" \"whoholds %s\" \"User Commands\"\n", command->name,
            WH_VERSION);
    fprintf(file, ".SH NAME\nwhoholds\\-%s \\- ", command->name);
    troff(file, command->summary ? command->summary : "",
          strlen(command->summary ? command->summary : ""));
    fprintf(file, "\n.SH SYNOPSIS\n.B whoholds %s\n", command->name);
    troff(file, command->usage, strlen(command->usage));
    fputs("\n.SH DESCRIPTION\n", file);
    each_paragraph(command->text, man_paragraph, file);
    fputs(".SH OPTIONS\n", file);
    for (const struct wh_option *o = command->options; o && o->name; o++)
        man_option(file, o);
    man_option(file, &help);
    fputs(".SH EXIT STATUS\n", file);
    for (int i = 0; common_exits[i]; i++)
        man_exits(file, common_exits[i]);
    if (command->exits)
        man_exits(file, command->exits);
    man_see_also(file, command);
}

/* --- completion
 * ----------------------------------------------------------------------------------- */

/* "text|json|csv" offers its words; anything else completes files. */
static void complete_values(FILE *file, const struct wh_command *command) {
    for (const struct wh_option *o = command->options; o && o->name; o++) {
        if (!o->argument || !strchr(o->argument, '|'))
            continue;
        fprintf(file, "    %s:--%s) words='", command->name, o->name);
        for (const char *p = o->argument; *p; p++)
            fputc(*p == '|' ? ' ' : *p, file);
        fputs("' ;;\n", file);
    }
}

void wh_help_completion(FILE *file) {
    fputs("# bash completion of whoholds, made by `whoholds help --completion`\n"
          "_whoholds()\n{\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} words=\n"
          "    local command=${COMP_WORDS[1]}\n"
          "    if [[ $previous == = ]]; then\n"
          "        previous=${COMP_WORDS[COMP_CWORD-2]}\n"
          "    elif [[ $word == = ]]; then\n"
          "        word=\n"
          "    fi\n"
          "    if ((COMP_CWORD == 1)); then\n"
          "        words='",
          file);
    for (int i = 0; wh_commands[i]; i++)
        if (wh_commands[i]->summary)
            fprintf(file, "%s ", wh_commands[i]->name);
    fputs("'\n        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
          "        return\n    fi\n"
          "    case $command:$previous in\n",
          file);
    for (int i = 0; wh_commands[i]; i++)
        if (wh_commands[i]->summary)
            complete_values(file, wh_commands[i]);
    fputs("    esac\n"
          "    if [[ -z $words && $word == -* ]]; then\n"
          "        case $command in\n",
          file);
    for (int i = 0; wh_commands[i]; i++) {
        if (!wh_commands[i]->summary)
            continue;
        fprintf(file, "        %s) words='--help ", wh_commands[i]->name);
        for (const struct wh_option *o = wh_commands[i]->options; o && o->name; o++)
            fprintf(file, "--%s ", o->name);
        fputs("' ;;\n", file);
    }
    fputs("        esac\n    fi\n"
          "    if [[ -n $words ]]; then\n"
          "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
          "    else\n"
          "        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
          "    fi\n"
          "}\ncomplete -o filenames -F _whoholds whoholds\n",
          file);
}
