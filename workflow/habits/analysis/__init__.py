"""From rollouts and behavior counts to tables with intervals and to verdicts on the claims."""
