"""What the screen and the exports draw, made without a screen: pictures in colours, contours, base map."""
