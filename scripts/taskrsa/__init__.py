"""taskrsa: which pretrained network should I fine-tune? The library behind the workflow's rules."""
