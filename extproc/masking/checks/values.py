"""The checks under the name of their first module."""

from extproc.masking.checks.contact import email as email
from extproc.masking.checks.identity import ssn as ssn
from extproc.masking.checks.numbers import IBAN_LENGTHS as IBAN_LENGTHS
from extproc.masking.checks.numbers import card as card
from extproc.masking.checks.numbers import iban as iban
from extproc.masking.checks.numbers import luhn as luhn
from extproc.masking.checks.tokens import bearer as bearer
from extproc.masking.checks.tokens import digit as digit
from extproc.masking.checks.tokens import jose as jose
from extproc.masking.checks.tokens import mixed as mixed
