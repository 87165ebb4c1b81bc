"""Audits: what a trained classifier of texts or table rows relies on, for whom it is wrong, and what is not known."""

from salreg.audit.answers import AnswerModel
from salreg.audit.card import card_section, model_card
from salreg.audit.findings import Audit, Change, Gap, GroupRates, Pair, TermUse, Use
from salreg.audit.groups import gaps, group_rates
from salreg.audit.intervals import Bootstrap, Interval
from salreg.audit.models import Encoded, TextModel
from salreg.audit.page import page
from salreg.audit.tables import audit_table
from salreg.audit.texts import audit_texts
from salreg.audit.trainings import Measured, Spread, spreads

__all__ = [
    "AnswerModel",
    "Audit",
    "Bootstrap",
    "Change",
    "Encoded",
    "Gap",
    "GroupRates",
    "Interval",
    "Measured",
    "Pair",
    "Spread",
    "TermUse",
    "TextModel",
    "Use",
    "audit_table",
    "audit_texts",
    "card_section",
    "gaps",
    "group_rates",
    "model_card",
    "page",
    "spreads",
]
