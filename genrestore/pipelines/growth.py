"""How wide the rim of a mask should be; plain numbers, which the page asks before torch is there.

A mask that was drawn by hand on the page is best grown by EDGE + HAND · the picture's longer side. Of objects with a soft edge
and a shadow, pasted into photographs, the result was nearest to the photograph where the mask grew by what it was too tight plus
EDGE. Two pixels less left a rim of the object, at half as much error again; each pixel more cost 5 %. A hand is off by about HAND
of what the screen shows.
"""

HAND = 4 / 1000  # of a picture's longer side: by so much a mask is drawn too tight
EDGE = 2  # pixels of a soft edge
