"""Differentiates maps, which are gradients themselves: exactly, or by finite differences."""

from salreg.differentiation.exact import (
    couples_samples,
    explained,
    gradient_of,
    in_backward,
    is_compiled,
    remedy,
    reusable_graphs,
    twice_differentiable,
)
from salreg.differentiation.finite_difference import Differences, FiniteDifference, parameter_gradients, relative_error
from salreg.differentiation.graph import kinks, without_second_derivative
from salreg.differentiation.late_terms import LateTerms
from salreg.differentiation.sharded import gathered, kept_whole, reshard, sharded_like, sharded_parts

__all__ = [
    "Differences",
    "FiniteDifference",
    "LateTerms",
    "couples_samples",
    "explained",
    "gathered",
    "gradient_of",
    "in_backward",
    "is_compiled",
    "kept_whole",
    "kinks",
    "parameter_gradients",
    "relative_error",
    "remedy",
    "reshard",
    "reusable_graphs",
    "sharded_like",
    "sharded_parts",
    "twice_differentiable",
    "without_second_derivative",
]
