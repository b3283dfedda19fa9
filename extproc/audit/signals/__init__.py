"""Signals: what principals did lately, as figures that policy reads. From records alone, in bounded memory."""
