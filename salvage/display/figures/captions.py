"""The words of the figures: captions, alt texts, axes and legends.

Templates are filled by ``str.format``; a count with its noun, such as ``29 patients``, arrives as
one word.
"""

from typing import Final

# --- shared -------------------------------------------------------------------------------------

#: With more patients no figure shows single ones.
MOST_PATIENTS: Final = 80
INDIVIDUAL: Final = "Individual-level data: internal use only."
MONTHS_INFUSION: Final = "Months since CAR-T infusion"
MONTHS_RELAPSE: Final = "Months since relapse"
MONTHS_LINE: Final = "Months since the start of the line"
MONTHS_RESPONSE: Final = "Months since the response"
NO_SALVAGE: Final = "{what} is not drawn: no patient of this cohort received a salvage line."
NO_CATEGORY: Final = "{what} is not drawn: no patient of this cohort received {category}."
EXACT: Final = "Exact 95% (Clopper-Pearson)"
EFFECTIVE: Final = "95% on the effective n (Wilson)"
SHRUNKEN: Final = "Shrunken rate, 95%"
REPEAT: Final = "{lines} of {patients} (a patient counts once for each line)"

# --- cohort flow and relapse --------------------------------------------------------------------

FLOW_CAPTION: Final = (
    "Flow of the cohort: {patients} with relapse after CAR-T, {lines}, and deaths. Deaths are "
    "counted at any time up to last contact."
)
#: By how many lines are drawn.
FLOW_LINES: Final = (
    "no salvage line",
    "their first salvage line",
    "their salvage lines one and two",
    "their salvage lines one to three",
    "their salvage lines one to four",
)
FLOW_ALT: Final = (
    "Flow chart: {patients} relapsed after CAR-T; {treated} received salvage therapy and "
    "{untreated} did not. {steps} {deaths} died."
)
FLOW_STEP: Final = "{n} received line {line}."
FLOW_TOP: Final = "Progressed or relapsed\nafter CAR-T"
FLOW_UNTREATED: Final = "No salvage therapy"
FLOW_LINE: Final = "Salvage line {line}"
FLOW_LAST: Final = "Salvage line {line}\n({more} had further lines)"
FLOW_STOP: Final = "No line {line}"
FLOW_END: Final = "Whole cohort at last contact"
FLOW_DIED: Final = "{died} died, {alive} alive"

TIMELINE_CAPTION: Final = (
    "Time from CAR-T infusion to relapse, {patients}. {how} The dashed line is the cut-off of "
    "{cut}: relapse at it counts as early."
)
TIMELINE_DOTS: Final = "Each mark is one patient. Individual-level data: internal use only."
TIMELINE_MANY: Final = "Above {limit} patients, single patients are not marked."
TIMELINE_BARS: Final = "Bars count patients in intervals of {width}."
TIMELINE_ALT: Final = (
    "Relapse came {when} months after infusion{median}: {early} "
    "relapsed early and {late} late, by the cut-off of {cut}."
)
TIMELINE_BETWEEN: Final = "between {low} and {high}"
TIMELINE_MEDIAN: Final = ", median {median}"
PATIENTS_AXIS: Final = "Patients"
CUT_OFF: Final = "Cut-off {cut}"

# --- swimmer ------------------------------------------------------------------------------------

SWIMMER_MANY: Final = (
    "The swimmer plot draws one lane for each patient and is left out above {limit} patients; "
    "this cohort has {n}. The figures of the flow, of the sequence of lines and of survival "
    "summarise the courses."
)
SWIMMER_CAPTION: Final = (
    "Course of each patient: {patients}, {deaths}, {lines}. A lane runs from CAR-T infusion to "
    "death or last contact; lanes are sorted by that time. A coloured stretch is a salvage "
    "line, up to its end where recorded, else to the next line, death or last contact. "
    "{hollow}{individual}"
)
SWIMMER_HOLLOW: Final = (
    "A hollow response mark stands at the start of its line, because the month of the response "
    "is not recorded. "
)
SWIMMER_ALT: Final = (
    "Swimmer plot of {patients}, observed for {observed} months after infusion; {deaths}. "
    "{early} relapsed early and {late} late. Of {lines}, {responding} had a response, "
    "{complete} of them complete."
)
SWIMMER_LEGEND: Final = {
    "CR": "Complete response",
    "PR": "Partial response",
    "progression": "Progression on the line",
    "relapse": "Relapse after CAR-T",
    "death": "Death",
    "ongoing": "Alive at last contact",
    "cut": "Early/late cut-off",
    "wait": "No salvage line",
}

# --- the histories of the swimmer plot -----------------------------------------------------------

HISTORY_VIEW: Final = {
    "hint": "Point at a lane, tap it, or use the arrow keys to read its history; Escape closes it.",
    "lanes": "Patients, from the longest to the shortest observed time",
    "panel": "History of one patient",
    "months": MONTHS_INFUSION,
    "previous": "Previous",
    "next": "Next",
    "close": "Close",
}
HISTORY_SUMMARY: Final = "{patient}: {group} at {relapse} months, {end} at {last} months"
HISTORY_INFUSION: Final = "CAR-T infusion"
HISTORY_END: Final = {"died": "Died", "alive": "Alive at last contact"}
HISTORY_SPAN: Final = "{first} to {last}"
HISTORY_OPEN: Final = "from {first}"
HISTORY_LINE: Final = "Line {line}: {category}"
HISTORY_TARGET: Final = {
    True: "Another target than the first CAR-T",
    False: "The same target as the first CAR-T",
}
HISTORY_INTENT: Final = "Intent: {intent}"
HISTORY_BEST: Final = "Best response: {response}"
HISTORY_RESPONSE: Final = {
    (True, True): "{best} from {first} to {last} months",
    (True, False): "{best} from {first} months",
    (False, True): "{best} to {last} months",
    (False, False): "{best}",
}
HISTORY_PROGRESSION: Final = "Progression at {month} months"
HISTORY_EVENTS: Final = "Adverse events: {events}"
HISTORY_EVENT: Final = "Adverse event: {event}"
HISTORY_GRADE: Final = "{term} grade {grade}"
HISTORY_ONSET: Final = "{event} at {month} months"

# --- sequences ----------------------------------------------------------------------------------

ALLUVIAL: Final = "The sequence of salvage lines"
ALLUVIAL_CAPTION: Final = (
    "Salvage lines in sequence: {patients}, {lines}. The height of a block is the number of "
    "patients who received that category at that line; its dark part is the share with CR or "
    "PR, and the figures, where there is room, are responses / patients. Ribbons lead to the "
    "next line, or to none.{more}"
)
ALLUVIAL_MORE: Final = " Lines after the fourth ({lines}) are not drawn."
ALLUVIAL_ALT: Final = "Sequence of salvage lines. {steps}"
ALLUVIAL_STEP: Final = (
    "Line {line}: {patients}, most often {category} ({n}); {responding} responded."
)
ALLUVIAL_NONE: Final = "No further line"
ALLUVIAL_RESPONSE: Final = "CR or PR"
ALLUVIAL_HEAD: Final = "Line {line}\nn = {n}"

# --- responses ----------------------------------------------------------------------------------

BARS: Final = "The figure of responses"
BARS_CAPTION: Final = (
    "Best response by category of salvage therapy: {lines} of {patients}. Figures in the bars "
    "are lines; lines that were not evaluable are shown and count in every denominator."
)
BARS_ALT: Final = "Best responses by category. {parts}"
BARS_PART: Final = "{category}: {responding} of {n} responded, {complete} completely"
BARS_LINE_CAPTION: Final = (
    "Best response to {category} by salvage line: {lines} of {patients}. Figures in the bars "
    "are lines."
)
BARS_LINE_ALT: Final = "Best responses to {category} by salvage line. {parts}."
BARS_LINE_PART: Final = "{line}: {responding} of {n} responded, {complete} completely"
BARS_LINE: Final = {1: "Line 1", 2: "Line 2", 3: "Line 3", 4: "Line 4 or later"}
BARS_NONE: Final = "no lines"
LINES_AXIS: Final = "Salvage lines"

FOREST: Final = "The forest plot of the {measure}"
FOREST_CAPTION: Final = (
    "{measure} by category: {lines} of {patients}, {events} with {kind}. Squares with thick "
    "bars: rate with the exact interval of Clopper and Pearson. Thin bars: Wilson interval on "
    "the effective n, which allows for patients with several lines.{shrunken} The categories "
    "were not randomised and cannot be ranked."
)
FOREST_SHRUNKEN: Final = (
    " Diamonds: rates shrunken towards their common mean by a hierarchical beta-binomial model, "
    "with 95% credible intervals."
)
FOREST_KIND: Final = {"orr": "CR or PR", "cr": "CR", "pr": "PR"}
FOREST_ALT: Final = "{measure}, all lines {overall}. {parts}. {overlap}"
FOREST_PART: Final = "{category} {events} of {n}, {rate} (95% CI {interval})"
FOREST_OVERLAP: Final = "All exact intervals of the categories share a common range."
FOREST_APART: Final = "Not all exact intervals of the categories overlap."
FOREST_ALL: Final = "All lines"
FOREST_HEAD: Final = ("Lines", "Rate, % (exact 95% CI)")
RATE_AXIS: Final = "{measure}, %"

OVERVIEW: Final = "The overview of responses"
OVERVIEW_CAPTION: Final = (
    "Response to each category of salvage therapy: {lines} of {patients}. The bar is the "
    "objective response rate, its dark part the complete responses. Thick line: exact 95% "
    "interval of the response rate (Clopper-Pearson); thin line: Wilson interval on the "
    "effective n. Nobody was randomised to a category: this figure ranks nothing."
)
OVERVIEW_ALT: Final = (
    "Objective response rates of {n} categories, from {low_rate} ({low}) to {high_rate} "
    "({high}). {parts}."
)
OVERVIEW_ONE: Final = "Objective response rate of the only category with lines. {parts}."
OVERVIEW_PART: Final = "{category} {events} of {n}, {complete} complete"
OVERVIEW_RESPONSES: Final = "Lines: CR / CR or PR / all"
OVERVIEW_ORR: Final = "Partial response"
OVERVIEW_CR: Final = "Complete response"

# --- Kaplan-Meier -------------------------------------------------------------------------------

KM_CAPTION: Final = (
    "{what}: Kaplan-Meier {curves} with 95% log-log {bands}{censored}. {groups}. The table counts "
    "those at risk just before each month, and the censored and the events up to it.{note}"
)
KM_GROUP: Final = "{label}: {size}, {events}"
KM_TICKS: Final = "; ticks mark censored observations"
KM_THINNED: Final = ", drawn on a day grid; censored observations are shown in the table only"
KM_SOME_THINNED: Final = (
    "; ticks mark censored observations, except on the curves of many times, which are drawn on a "
    "day grid"
)
KM_ALT: Final = "Kaplan-Meier {curves} of {what}. {parts}."
KM_PART: Final = "{label}, {size}, {events}: median {median}{at}"
KM_AT: Final = ", {survival} at {month} months"
KM_MEDIAN_ALONE: Final = "{value} months (interval not estimable)"
KM_MEDIAN: Final = "{value} months (95% CI {low} to {high})"
KM_EMPTY: Final = "“{what}” is not drawn: {reason}."
KM_NOBODY: Final = "no patient or line has one"
KM_AT_RISK: Final = "At risk"
KM_CENSORED: Final = "Censored"
KM_EVENTS: Final = "Events"
KM_SURVIVAL: Final = "Survival, %"
KM_FREE: Final = "Without the event, %"
KM_RESPONSE: Final = "Still in response, %"
KM_REPEAT_NOTE: Final = (
    " Because patients repeat, and because each line is a choice after the last, curves are not "
    "compared by a test."
)
KM_GUARANTEE_NOTE: Final = (
    " Nobody can relapse late without living that long: from infusion the late curve is held up "
    "by that guarantee."
)
KM_SELECTED_NOTE: Final = (
    " Counted from relapse, the time to relapse favours neither group; of what follows, only the "
    "wait for salvage is guaranteed to those treated."
)
KM_LEFT_OUT: Final = " Not shown: {what}, because {reason}."
KM_NOT_RECORDED: Final = {
    "pfs": "no progression month is recorded",
    "dor": "no month of response is recorded",
}
KM_ONE_GROUP: Final = "one of the two groups has no patient"
KM_NO_RESPONSE: Final = "no line responded"
OS_INFUSION: Final = "Overall survival from CAR-T infusion"
OS_RELAPSE: Final = "Overall survival from relapse"
BY_GROUP: Final = "{what}, by time of relapse (cut-off {cut})"
OF_CATEGORY: Final = "{what}, {category}"
LINES_COURSE: Final = "The course of its lines"
LINE_CURVES: Final = "Course after the start of {category}"
DOR_ALL: Final = "Duration of response, all salvage lines"
DOR_NOTE: Final = (
    " From the first CR or PR to progression or death; a new treatment censors. Only those who "
    "responded are counted."
)

# --- hazard ratios ------------------------------------------------------------------------------

COX_CAPTION: Final = (
    "{what}. Squares: hazard ratio of death with 95% interval, on a log scale. {method}{note}"
)
COX_ARROW: Final = " An arrow marks a limit beyond the axis."
COX_ALT: Final = "{what}. {parts}."
COX_PART: Final = "{label}: hazard ratio {hr} (95% CI {interval})"
COX_MISSING: Final = "{label}: not estimable{reason}"
COX_AXIS: Final = "Hazard ratio of death (log scale)"
COX_HEAD: Final = ("n (deaths)", "HR (95% CI)", "P")
COX_NOTHING: Final = "“{what}” is not drawn: no model of this cohort could be estimated."
SWEEP_WHAT: Final = "Late against early relapse at each cut-off, {times}"
SWEEP_ROW: Final = "Cut-off {cut}"
SWEEP_NOTE: Final = (
    " The cut-offs use the same patients: the rows are not independent, and P-values are not "
    "adjusted."
)
SWEEP_HEAD: Final = ("early / late", "HR (95% CI)", "P")
ORIGIN_WHAT: Final = "Late against early relapse, by where the clock starts"

# --- adverse events -----------------------------------------------------------------------------

AE_NONE: Final = "{what} is not drawn: this cohort records no adverse event of salvage therapy."
AE_UNGRADED: Final = "{what} is not drawn: no adverse event of salvage therapy has a grade."
AE_NO_LINE: Final = (
    "{what} is not drawn: no adverse event of this cohort is linked to a salvage line."
)
AE_HEAT: Final = "The figure of grades"
AE_HEAT_CAPTION: Final = (
    "Adverse events by highest grade: number of treated patients (n = {n}) whose highest grade "
    "of a term was this one. {scales}{rest}{ungraded}"
)
AE_REST: Final = " The {shown} most common of {all} terms are shown."
AE_UNGRADED_NOTE: Final = " Left out, without a grade: {events}."
AE_HEAT_ALT: Final = (
    "Highest grade of each adverse event. Most common: {first}. {any_severe} had an event of grade "
    "3 or more."
)
AE_FIRST: Final = "{first}, in {n} of {treated} treated patients, of grade 3 or more in {severe}"
AE_FIRST_TIED: Final = "{first}, each in {n} of {treated} treated patients"
AE_CATEGORY: Final = "The figure of adverse events by category"
AE_CATEGORY_CAPTION: Final = (
    "Adverse events by category of the salvage line during which they began. Figures are "
    "patients, each counted once for a term in a category; the shade is their share of the "
    "patients who received that category (in brackets). {scales}{rest}{unlinked}"
)
AE_UNLINKED: Final = " Left out, not linked to a line: {events}."
AE_CATEGORY_ALT: Final = "Patients with each adverse event, by category of salvage line. {parts}."
AE_CATEGORY_PART: Final = "{category}: most often {term} ({n} of {patients})"
AE_CATEGORY_NONE: Final = "{category}: none"
AE_NO_SCALE: Final = "scale not recorded"
AE_SCALE: Final = "Scale of grades: {scale}."
AE_SCALES: Final = "Scale of grades: {scale} unless named; scales are never pooled."
AE_NO_GRADE: Final = "no grade"
AE_GRADE: Final = "Highest grade"
AE_PANELS: Final = ("Any grade", "Grade 3 or more")
AE_BUTTERFLY: Final = "The butterfly plot of adverse events"
AE_BUTTERFLY_CAPTION: Final = (
    "Adverse events of salvage therapy: percentage of {n} with any grade (left) and with grade "
    "3 or more (right); figures are patients, each counted once for a term. "
    "{scales}{rest}{ungraded}"
)
AE_BUTTERFLY_UNGRADED: Final = " On the left only, without a grade: {events}."
AE_BUTTERFLY_ALT: Final = (
    "Adverse events of {treated}, by patients affected, the most common first. {parts}."
)
AE_BUTTERFLY_PART: Final = "{term}: {n}, grade 3 or more {severe}"
AE_ANY: Final = "Any grade, %"
AE_SEVERE: Final = "Grade 3 or more, %"

# --- time and bias ------------------------------------------------------------------------------

NULL_CAPTION: Final = (
    "Late against early relapse where relapse timing has no effect at all: hazard ratios of {n} "
    "simulated cohorts{of}{world}. Dashed line: no effect. Solid line: the published hazard ratio, "
    "{published}.{left_out}"
)
NULL_OF: Final = " of {patients}"
NULL_WORLD: Final = " in one world ({world})"
NULL_LEFT_OUT: Final = " Left out, without a contrast or with a hazard ratio beyond 400-fold: {n}."
NULL_ALT: Final = "Histograms of hazard ratios simulated without any effect. {parts}."
NULL_PART: Final = (
    "{label}: geometric mean {mean}, middle 90% {low} to {high}; {share} are {published} or lower"
)
NULL_AXIS: Final = "Hazard ratio, late against early relapse (log scale)"
NULL_COUNT: Final = "Cohorts"
NULL_PUBLISHED: Final = "published {hr}"
NULL_NO_EFFECT: Final = "no effect"
NULL_NOTHING: Final = (
    "No simulated cohort has a contrast between late and early relapse, so nothing is drawn."
)
NULL_INSIDE: Final = "geometric mean {mean}\n{share} at or below {published}"

# --- audit --------------------------------------------------------------------------------------

OPEN_CAPTION: Final = (
    "What the printed figures leave open for each category: lines, response rate and complete "
    "response rate, each from the lowest to the highest value that occurs in any table "
    "consistent with the abstract."
)
OPEN_TICKS: Final = " Ticks: the numbers of lines that occur."
OPEN_ASSUMED: Final = " Open dots: the assumed table of this book."
OPEN_ALT: Final = "Ranges that the abstract leaves open. {parts}."
OPEN_PART: Final = "{category}: {n} lines, ORR {orr}, CR {cr}"
OPEN_PANELS: Final = ("Lines", "ORR, %", "CR, %")
OPEN_RANGE: Final = "{low} to {high}"
OPEN_NOTHING: Final = (
    "No table of counts is consistent with the printed figures, so no range is drawn."
)

SPREAD_CAPTION: Final = (
    "Quantities that the abstract does not print, over {n} that agree with every printed "
    "figure{agree}. The spread is a range over the cohorts that the search found: it is "
    "neither a confidence interval nor a probability."
)
SPREAD_ALT: Final = "Spread over {n} that fit the abstract. {parts}."
SPREAD_PART: Final = "{label}: {low} to {high}"
SPREAD_NOTHING: Final = "No alternative cohort is stored, so no spread is drawn."
SPREAD_OWN: Final = "This book's cohort"
SPREAD_DOT: Final = "A cohort that fits the abstract"

SE_CAPTION: Final = (
    "Hazard ratios and standard errors that print as {printed}: the shaded region. Dotted "
    "lines: 2/√d, the smallest standard error that d deaths can give. "
)
SE_P: Final = "The dark part also prints the P-value {p}."
SE_ALT: Final = "Standard errors from {low} to {high} print the published interval; {deaths}."
SE_DEATHS: Final = "fewer than {d} deaths cannot give so small a standard error"
SE_ANY_DEATHS: Final = "no number of deaths shown is excluded"
SE_NOTHING: Final = "No hazard ratio and standard error print as {printed}, so no region is drawn."
SE_X: Final = "Hazard ratio (log scale)"
SE_Y: Final = "Standard error of log HR"
SE_LINE: Final = "{d} deaths"
SE_REGION: Final = "prints {printed}"
SE_REGION_P: Final = "and P = {p}"

# --- context ------------------------------------------------------------------------------------

CONTEXT_CAPTION: Final = (
    "{what}. Squares with bars: value and 95% interval; circles: printed without an interval. "
    "{own}Where the unit counted or the time origin of two rows differs, they cannot be ranked."
)
CONTEXT_OWN: Final = "Black: this cohort. "
CONTEXT_ALT: Final = "{what}. {parts}."
CONTEXT_PART: Final = "{label}{counted}: {value}{interval}"
CONTEXT_COUNTED: Final = ", {counted}"
CONTEXT_INTERVAL: Final = " (95% CI {low} to {high})"
CONTEXT_NOTHING: Final = "No cohort has a figure to compare: {what}."
CONTEXT_RATE: Final = "Rate, %"
CONTEXT_HEAD: Final = ("n", "% (95% CI)")
CONTEXT_HEAD_MONTHS: Final = ("n", "Months (95% CI)")
