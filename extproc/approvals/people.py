"""Who may answer for whom, and how people are counted. Pure."""

import unicodedata
from collections.abc import Sequence

from extproc.domain.decision import Approval
from extproc.domain.principal import Kind, Principal


def same(one: Principal, other: Principal) -> bool:
    """Whether two principals are the same party: issuer and subject, never the subject alone."""
    return (one.issuer, one.subject) == (other.issuer, other.subject)


def same_asker(one: Principal, other: Principal) -> bool:
    """Whether two requests come from the same party *for the same person*. An approval given while an agent acted
    for one person is no approval of what it does for another, who might then approve their own."""
    return same(one, other) and one.acts_for == other.acts_for


def unfit(asker: Principal, approver: Principal) -> str | None:
    """Why `approver` may not answer for `asker` whatever their groups, or None.

    Agents and people come from different issuers, so here, unlike everywhere else, subjects are compared without
    their issuers, and without case: a false match costs another approver, a missed one lets people approve their own.
    """
    if approver.kind is not Kind.HUMAN:
        return "only people answer holds; this identity is not a person's"
    asking = {_fold(asker.subject)} | ({_fold(asker.acts_for)} if asker.acts_for else set())
    answering = {_fold(approver.subject)} | ({_fold(approver.acts_for)} if approver.acts_for else set())
    if asking & answering:
        return "nobody answers their own hold, nor one of an agent that acts for them"
    return None


def assign(requirements: Sequence[Approval], approvers: Sequence[Principal]) -> dict[str, tuple[Principal, ...]]:
    """Share distinct approvers out over the groups that requirements name, so that as many places as can be are
    filled and nobody fills a place in two groups: two groups mean two people.

    Requirements of one group are answered by the same people, so a group has as many places as its largest quorum.
    Returns the people counted for every group. Maximum bipartite matching by augmenting paths; sizes are small.
    """
    places = {r.group: max(q.quorum for q in requirements if q.group == r.group) for r in requirements}
    seats: dict[str, list[Principal]] = {group: [] for group in places}

    def seat(person: Principal, tried: set[str]) -> bool:
        for group in sorted(set(person.groups) & set(places)):
            if group in tried:
                continue
            tried.add(group)
            if len(seats[group]) < places[group]:
                seats[group].append(person)
                return True
            for i, sitting in enumerate(seats[group]):
                if seat(sitting, tried):
                    seats[group][i] = person
                    return True
        return False

    distinct = {(p.issuer, p.subject): p for p in approvers}
    for person in distinct.values():
        seat(person, set())
    return {group: tuple(sitting) for group, sitting in seats.items()}


def _fold(subject: str) -> str:
    return unicodedata.normalize("NFKC", subject).strip().casefold()
