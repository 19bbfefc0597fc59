/* results.h - what a trained classifier does on test pictures: counted, and drawn. */
#ifndef KILN_TOOLS_RESULTS_H
#define KILN_TOOLS_RESULTS_H

#include <kiln/kiln.h>

#include "classifier.h"
#include "presets.h"

/** The test set, judged. Zero-initialise; free with results_finish. */
struct results {
    kiln_confusion *confusion;
    int32_t *guess, *label; /* by row of the test set */
    int64_t rows;
    kiln_image_params as; /* how the test pictures were made, to be shown as they were; {0}: from 0 to 1 */
};

/** Run `grade`, whose list holds c->scores, over the test set. */
kiln_status results_collect(struct results *r, kiln_program *grade, const struct classifier *c,
                            kiln_dataset *test);

/** Draw a sheet: the first test pictures and what each is taken for, and after them some mistakes. */
kiln_status results_draw_sheet(const struct results *r, const kiln_dataset *test, const char *path);

/** Draw the confusion matrix. */
kiln_status results_draw_confusion(const struct results *r, const kiln_dataset *test, const char *path);

/** Write a test picture that is taken for what it is as a PNG file; *label is what it shows. */
kiln_status results_save_picture(const struct results *r, const kiln_dataset *test, const char *path,
                                 int *label);

void results_finish(struct results *r);

#endif
