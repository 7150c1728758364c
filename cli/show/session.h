/* session.h - calls one after another on one or two sides, and a look at what they leave behind:
 * what scripts and the shell share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_SESSION_H
#define VAS_CLI_SESSION_H

#include "show/draw.h"
#include "show/snapshot.h"
#include "strace/words.h"

struct session {
	struct pair pair;
	struct variables variables;
	uint64_t task_size; /* bytes: where the pictures end */
	uint32_t version;   /* the Linux that vas answers as */
	bool looks; /* snapshots are taken, for picture, diff and why */

	/* the last call, which has been made if before.maps is there */
	struct call call;
	struct answer answer; /* without its text */
	struct snapshot before;
};

/* Makes a call on each side as pair_call does, and keeps what the words need. */
enum pair_result session_call(struct session *session, const struct call *call,
                              struct pair_answer *answers, FILE *why);

enum word_result {
	WORD_SHOWN,
	WORD_WRONG,   /* an invariant does not hold, or a side is broken: that was said */
	WORD_REFUSED, /* this cannot be shown, as error->message says */
};

/* Answers a word that is not the shell's alone, with text to `out`. */
enum word_result session_word(struct session *session, const struct word_line *word,
                              const struct draw_style *style, FILE *out,
                              struct parse_error *error);

/* The picture of the last call: before and after. False: nothing to compare with, or nothing has
 * changed in the map. */
bool session_draw_change(struct session *session, const struct draw_style *style, FILE *out);

/* Destroys the sides, forgets the rest. */
void session_end(struct session *session);

#endif
