"""Rate limits: true sliding windows, decided in one script for all processes. docs/explanation/rate-limits.md

policies     what is limited and by how much, and what one request is charged
deciding     what a caller uses: the verdict, from Valkey or from this process
shared       the windows in Valkey          local       the windows of this process, while Valkey is away
headers      what the answer tells          measures    what Prometheus is told
"""
