"""What a run gave, as people read it: Slack, Markdown, a page. Pure functions, one file each."""
