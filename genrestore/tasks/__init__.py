"""What a person asks for: pictures in, pictures out. No Gradio and no printing here; page and command line call these."""
