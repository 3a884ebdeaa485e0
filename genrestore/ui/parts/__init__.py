"""What several tabs share. A part that the browser draws has its HTML, style and script beside its Python."""
