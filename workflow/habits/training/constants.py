"""Constants of the RL objective that both backends share."""

DUAL_CLIP = 3.0  # verl's clip_ratio_c: bound on the ratio where the advantage is negative
